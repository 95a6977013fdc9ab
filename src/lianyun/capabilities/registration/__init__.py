"""Registration: the name of a firm checked, its code given, its licence issued, its row in the register at once."""
