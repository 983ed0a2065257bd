"""Export, import and what comes with them: an encrypted archive of what a stack knows."""
