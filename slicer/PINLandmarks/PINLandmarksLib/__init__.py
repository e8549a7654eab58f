"""What the module PINLandmarks does without windows: requests to the server, and point lists."""
