"""Images to latents: networks trained on the references, or brought along; one file a kind."""
