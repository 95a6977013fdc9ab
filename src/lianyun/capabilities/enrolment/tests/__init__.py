"""Tests of enrolment by points."""
