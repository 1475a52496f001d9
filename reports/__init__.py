"""What is said: record files go in, one report with its plots comes out; the same records give the same bytes."""


class ReportError(Exception):
    """A folder or a page that cannot take a report; the message says why and what to do."""
