"""Search, correct and retrain over HTTP: an API, and a page for people. No search logic is here."""
