"""The certificate of the rows over TLS: made once for each run, trusted by nobody else."""
