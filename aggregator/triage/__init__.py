"""From alerts to what a person looks at: incidents, kinds, evidence, and rules of what is normal here."""
