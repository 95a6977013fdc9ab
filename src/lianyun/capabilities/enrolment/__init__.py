"""Enrolment: places at school given by points: counted, published, ranked, allotted, explained."""
