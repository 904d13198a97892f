"""An agent of forty lines, to hold everything outside an agent's folder to the contract (``hdream_core.agent``)."""
