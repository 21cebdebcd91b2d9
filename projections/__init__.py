"""What readers see: folds of the log that are rebuilt, never migrated, and cannot write to it."""
