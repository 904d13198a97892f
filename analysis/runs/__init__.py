"""Plans and makes the runs of a study: which there are, where they lie, who trains them, what they write."""
