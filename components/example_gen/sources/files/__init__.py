"""What sources of files share: columns to read, partitions, where records begin; and the formats with modules here."""
