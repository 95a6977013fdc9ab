"""Services: generated query services on published data, under grants, with a record of each call."""
