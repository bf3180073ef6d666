"""How well restorers do under the protocol: baselines, measuring, tables, and pictures to compare by eye."""
