"""Lake: the data plane; rows in bulk from landing to publication, without Django."""
