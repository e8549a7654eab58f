"""Reports of runs, folds and data checks: tables, figures, pages."""
