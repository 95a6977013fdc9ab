"""Rules of enrolment by points: pure decisions, no Django, no I/O."""
