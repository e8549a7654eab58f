"""Vocabulary of every package: types, frames, landmark sets, files, tables, settings, errors."""
