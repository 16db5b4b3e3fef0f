"""The hall. Where all agents meet and a person looks."""
