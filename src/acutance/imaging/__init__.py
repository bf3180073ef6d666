"""Pixels as numbers: conversion, padding, blending, and the mathematics of blur. NumPy only, no files."""
