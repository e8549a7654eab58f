"""From files on disk to checked working volumes."""
