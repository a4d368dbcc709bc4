"""What the pages say: from the result files of the steps to the content that the report lays out."""
