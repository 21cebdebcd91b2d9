"""What each page shows: read in one transaction of the read models, as plain values for its template."""
