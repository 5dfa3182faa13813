"""What an actor does with a unit, from reading to commit; knows no Ray."""
