"""The HTTP door beside the app: who gets in, and the few pages that must work before anybody is signed in."""
