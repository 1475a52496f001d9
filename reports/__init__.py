"""What is said: record files go in, one Markdown page with its plots comes out; the same records give the same bytes."""
