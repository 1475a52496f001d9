"""One module per section of the page; each has one public function from the evidence to Markdown."""
