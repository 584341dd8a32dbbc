"""Search, correct and retrain over HTTP: an API and a page. No search logic is here."""
