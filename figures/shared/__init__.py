"""What several figures share: style, marks, words and panels."""
