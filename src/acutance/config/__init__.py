"""Typed settings from TOML and back, and the presets that ship. It knows no particular setting."""
