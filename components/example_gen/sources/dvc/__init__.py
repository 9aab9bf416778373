"""DVC: data of a Git repository, by revision, fetched from the repository's own remotes."""
