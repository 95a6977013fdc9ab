"""Messages: what happened reaches the person it concerns: inbox, mail, text."""
