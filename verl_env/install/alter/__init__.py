"""An environment that is there, changed: additions, native components, what a remedy puts back."""
