"""BigQuery: tables by the Storage Read API, and what queries give."""
