"""The edge daemon. Light, alone; may lose the network, never an alert."""
