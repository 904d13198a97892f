"""Result files, and what is computed from them alone: no torch here, since figures import it."""
