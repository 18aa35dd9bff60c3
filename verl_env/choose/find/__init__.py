"""Every known wheel of a native component for any torch, whatever lockset there is, and the build that would work."""
