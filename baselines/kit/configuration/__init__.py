"""Frozen configuration sections, and how presets, TOML files and overrides make one."""
