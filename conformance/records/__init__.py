"""Write, read and describe record files."""
