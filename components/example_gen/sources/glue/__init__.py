"""Tables of AWS Glue's Data Catalog: their files in S3, read as the catalogue describes them."""
