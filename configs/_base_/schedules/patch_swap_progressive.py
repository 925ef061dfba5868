# The progressive swap probability for 240 epochs, as fractions of the run so that it
# scales with max_epochs. Stated: from 0.1 to 0.5 in four steps with boundaries at
# epochs 30, 80 and 120. Unknown, hence a guess: the middle values 0.2 and 0.3.
patch_swap_schedule = dict(
    type='mmips.PatchSwapSchedule',
    milestones=[30 / 240, 80 / 240, 120 / 240],
    values=[0.1, 0.2, 0.3, 0.5])
