// A library for test_molecule_rewards.c that is none for molecules.
extern const int foreign;
const int foreign = 1;
