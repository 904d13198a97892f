"""DreamerV2 and HarmonyDream in PyTorch, online and on a fixed buffer."""
