"""Federation: logical libraries whose rows stay in departments' own databases until they are asked."""
