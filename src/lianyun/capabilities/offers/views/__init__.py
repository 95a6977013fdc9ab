"""Views of proactive service: one's own, a firm's policies, the officers' desk."""
