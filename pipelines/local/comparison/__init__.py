"""Two runs beside each other: what differs in their results and in what they were made of, as record, text and page."""
