"""Shared by all packages: types, frames, landmark sets, files, tables, settings, errors."""
