"""The process of a task of KFP's: what it leaves when it has succeeded, and what looks at that on a cluster."""
