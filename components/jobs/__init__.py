"""Several machines do one task's work: the job that the task starts, and what each of its workers runs."""
