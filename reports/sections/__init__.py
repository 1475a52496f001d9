"""One module per section of the report; each has one public function from the evidence to the section's blocks."""
