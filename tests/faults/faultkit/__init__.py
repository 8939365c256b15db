"""What the fault suite is made of: machines that can be hurt, a network between them, clients, and their verdicts."""
