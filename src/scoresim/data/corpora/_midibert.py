"""The parts of MidiBERT-Piano, by the names of files: what its published figures are of.

Facts of https://github.com/wazenmai/MIDI-BERT (commit 1bc4cab, MIT licence), which keeps them in pickles
(``data_creation/preprocess_pop909/split.pkl``, ``Dataset/pianist8_*.pkl``, ``Dataset/emopia_*.pkl``). What is in
neither of two lists is its training part.
"""

_POP909 = {
    "valid": """
021 038 042 051 066 093 111 137 140 162 165 172 189 198 204 208 235 240 246 252 256 292 304 315 318 329 337 340 341
342 357 380 400 416 417 421 443 447 471 484 487 488 515 518 538 539 557 560 574 588 597 604 609 615 620 630 639 647
668 673 682 685 690 699 703 707 715 742 758 768 774 779 787 794 803 812 816 819 824 844 849 873 880 882 902 908
""",
    "test": """
011 018 027 036 048 052 058 061 067 077 091 106 114 125 148 150 161 163 177 179 190 205 214 220 278 284 290 303 313
322 343 372 378 395 431 436 439 444 445 449 465 467 492 517 521 541 545 548 551 559 567 573 583 591 596 600 610 618
629 635 648 649 656 660 664 666 683 687 692 718 726 737 748 766 784 804 821 828 834 839 842 870 875 877 878 884
""",
    "out": """
034 062 102 107 152 171 173 176 203 215 231 254 280 307 311 328 360 369 379 393 412 509 584 592 624 632 653 654 662
678 689 693 744 749 756 770 775 799 801 806 843 869 872 887
""",
}
_PIANIST8 = {
    "valid": """
Bethel/Bethel_Greatness_of_Your_Glory Bethel/Bethel_Heaven_Come Bethel/Bethel_Pieces
Bethel/Bethel_There's_No_Other_Name Clayderman/Clayderman_For_My_Sweetheart Clayderman/Clayderman_I_Like_Chopin
Clayderman/Clayderman_Morning_Has_Broken Clayderman/Clayderman_Promise_Me Einaudi/Einaudi_Bella_notte
Einaudi/Einaudi_Canzone_Africana_IV Einaudi/Einaudi_Elegy_for_the_Arctic Einaudi/Einaudi_Nefeli
Einaudi/Einaudi_Ritornare Hancock/Hancock_Blind_Man,_Blind_Man Hancock/Hancock_Empty_Pockets Hancock/Hancock_Jessica
Hancock/Hancock_La_Fiesta Hancock/Hancock_The_Sorcerer Hillsong/Hillsong_As_It_Is Hillsong/Hillsong_Elohim
Hillsong/Hillsong_How_Deep_is_the_Love Hillsong/Hillsong_What_a_Beautiful_Name Hillsong/Hillsong_Who_You_Say_I_Am
Hisaishi/Hisaishi_Message_By_Rouge Hisaishi/Hisaishi_Nostalgia Hisaishi/Hisaishi_Resphoina
Hisaishi/Hisaishi_Silencio_de_Parc_Guell Ryuichi/Ryuichi_Estrada_Branca Ryuichi/Ryuichi_Perspective
Ryuichi/Ryuichi_Solitude Ryuichi/Ryuichi_Women_Without_Name Ryuichi/Ryuichi_Wuthering_Heights Yiruma/Yiruma_Hope
Yiruma/Yiruma_Journey Yiruma/Yiruma_Passing_By Yiruma/Yiruma_Sky Yiruma/Yiruma_Till_I_Find_You
""",
    "test": """
Bethel/Bethel_Have_It_All Bethel/Bethel_No_Longer_Slaves Bethel/Bethel_We_Will_Not_Be_Shaken
Bethel/Bethel_You_Make_Me_Brave Clayderman/Clayderman_Feelings Clayderman/Clayderman_For_Elise
Clayderman/Clayderman_Nostalgy Clayderman/Clayderman_Till Einaudi/Einaudi_Dolce_droga Einaudi/Einaudi_Limbo
Einaudi/Einaudi_Monday Einaudi/Einaudi_Nightbook Einaudi/Einaudi_Una_mattina Hancock/Hancock_All_Apologies
Hancock/Hancock_First_Trip Hancock/Hancock_Nefertiti Hancock/Hancock_Solitude Hancock/Hancock_Sonrisa
Hillsong/Hillsong_First_Love Hillsong/Hillsong_Grace_to_Grace Hillsong/Hillsong_Jesus_Loves_Me
Hillsong/Hillsong_So_Will_I Hillsong/Hillsong_This_I_Believe Hisaishi/Hisaishi_Angel_Springs
Hisaishi/Hisaishi_Confessions_in_the_Moonlight Hisaishi/Hisaishi_Nausicaa_Requiem Hisaishi/Hisaishi_Nocturne
Ryuichi/Ryuichi_Aoneko_no_Torso Ryuichi/Ryuichi_Chanson Ryuichi/Ryuichi_Opus Ryuichi/Ryuichi_Reversing
Ryuichi/Ryuichi_Undercooled Yiruma/Yiruma_Dream_a_Little_Dream_of_Me Yiruma/Yiruma_Farewell
Yiruma/Yiruma_Stay_in_Memory Yiruma/Yiruma_The_Scenary_Begins Yiruma/Yiruma_Unknown_2
""",
}
_EMOPIA = {
    "valid": """
Q1_0vLPYiPN7qY_0 Q1_2Z9SjI131jA_1 Q1_2Z9SjI131jA_2 Q1_4dXC1cC7crw_0 Q1_4dXC1cC7crw_1 Q1_4ydjOX3pWds_0
Q1_94ROf10d1iA_0 Q1_GY3f6ckBVkA_0 Q1_GY3f6ckBVkA_3 Q1_TNoaOTrTkTQ_2 Q1_Xsn9zT-05ns_0 Q1_Y5JcZQ0xg4Y_2
Q1_Y5JcZQ0xg4Y_3 Q1_e838BE_MH6s_3 Q1_eVMSeElk81Q_1 Q1_gSwv8hZGM-s_1 Q1_gwmVjvR-sVs_1 Q1_im4Qxn3GQvo_0
Q1_jziI_cuN_H8_2 Q1_miqLU2739dk_1 Q1_s6-SbDSZzEU_0 Q1_uqRLEByE6pU_2 Q1_vv6nrZ2myXw_1 Q1_vv6nrZ2myXw_2
Q1_wnB2cjd6zbE_0 Q2_0H4rq0L9OSw_0 Q2_1TAKQK3s6qQ_0 Q2_2uLw9Zs60A4_0 Q2_3_MxhSS86oU_1 Q2_7n32BtYb4d4_0
Q2_9v2WSpn4FCw_1 Q2_ANZf1QXsNrY_6 Q2_D5kyjnlDNZs_0 Q2_Ie5koh4qvJc_10 Q2_L3_TadjSQQ0_1 Q2_OCqMDeD6Fmc_0
Q2_OCqMDeD6Fmc_1 Q2_OCqMDeD6Fmc_3 Q2_P-We4q3goKU_6 Q2_Q5b5unyP8BM_0 Q2_XfA2KXodrOE_0 Q2_aYe-2Glruu4_2
Q2_dtS02mrDMsM_2 Q2_epX33OVpkmA_0 Q2_gvWDOIiocuE_1 Q2_k4lT-sXg3iI_1 Q2_kKFwiXKlhC8_1 Q2_lFznCt5kvXM_0
Q2_miqLU2739dk_0 Q2_sEQf5lcnj_o_0 Q2_z5ewpQwGDNw_2 Q3_02t1bj7ZABY_1 Q3_9Xg69XrVaYU_0 Q3_Adil-zpJdEs_0
Q3_D3onzY4MNxE_1 Q3_Ie5koh4qvJc_22 Q3_Ie5koh4qvJc_8 Q3_MbvPxCUMSek_1 Q3_PLfFWFZflQU_1 Q3_REq37pDAm3A_4
Q3_bbU31JLtlug_1 Q3_dCoUuknChhE_0 Q3_ii1Jw1-7Ka4_1 Q3_ilCcZpD39HU_4 Q3_ldCQ6N9G6Mk_4 Q3_pbVGv_g4n50_0
Q3_qRceKZtwRWA_1 Q3_tLmXAWfbGqs_0 Q3_uj3Gif77SYM_1 Q3_uj3Gif77SYM_3 Q3_uj3Gif77SYM_6 Q3_wlOa1jkTn_U_1
Q3_wqc8iqbDsGM_1 Q3_x4B0raxVODA_1 Q3_yZGBxiNPu3k_2 Q3_zvWX_dwQPtU_1 Q4_12tDlCQVRtA_2 Q4_1fdxsFbnsX4_0
Q4_1fdxsFbnsX4_1 Q4_2Z9SjI131jA_6 Q4_3N2G21U7guk_1 Q4_3N2G21U7guk_2 Q4_8TYY0qG-KOw_0 Q4_9eMxCs-LXCE_0
Q4_B3aRl8iTEKw_0 Q4_B3aRl8iTEKw_1 Q4_Dw7M69CidJ8_1 Q4_Dw7M69CidJ8_2 Q4_FoTXpYZXxJs_1 Q4_I2MrA-o5H8I_0
Q4_Ie5koh4qvJc_1 Q4_Ie5koh4qvJc_20 Q4_JT1XJnVmABo_2 Q4_JxSU49jFKwM_1 Q4_KRlAez34QfE_1 Q4_KRlAez34QfE_2
Q4_OUb9uaOlWAM_0 Q4_OoxI6k0Qsno_0 Q4_Tc684nD8CEA_2 Q4_UaYYMRkHMYc_1 Q4_UbKAl4roB8k_2 Q4_Ury1cdB79s0_0
Q4_XC_SiJszQx0_2 Q4_lQCrA2TE-fo_1 Q4_rW1I58_lMEg_0 Q4_vBHoSz8cJIE_2 Q4_wzSr6qR3Ra0_0
""",
    "test": """
Q1_2Z9SjI131jA_9 Q1_3N2G21U7guk_5 Q1_3ahg_eQZhxs_1 Q1_9v2WSpn4FCw_1 Q1_ANZf1QXsNrY_4 Q1_Fc1qk52SaKY_0
Q1_FfwKrQyQ7WU_1 Q1_GY3f6ckBVkA_1 Q1_Ie5koh4qvJc_6 Q1_J6X3rVU1H-c_1 Q1_K6OFDxBU370_0 Q1_KxlqB3j0zys_1
Q1_UOSlDydo94E_1 Q1_UOSlDydo94E_2 Q1_VXgRfsVd_o0_0 Q1_ZgT7yq2jsBk_0 Q1__BK2o77sTc0_0 Q1_dfNdpy8TUzA_0
Q1_jziI_cuN_H8_0 Q1_k4dxAlI5N-k_0 Q1_mX-xs3OVhTs_0 Q1_mX-xs3OVhTs_1 Q1_s6-SbDSZzEU_1 Q1_vv6nrZ2myXw_0
Q1_yFw_kO7DF-Y_0 Q2_08t73Qgjkt4_0 Q2_1kny88W533Q_2 Q2_5NW0zDu6IYM_0 Q2_61EA0xRX8gE_3 Q2_61EA0xRX8gE_5
Q2_9v2WSpn4FCw_2 Q2_BzqX-9TA-GY_2 Q2_D-gDPh9ZpFk_1 Q2_Dg935IbDggo_0 Q2_UTo7E0evQWw_0 Q2_WBxql6cuU7c_0
Q2_XfA2KXodrOE_1 Q2_ZTrEoB8T9YA_0 Q2_ZdyiXIlKe_Y_0 Q2_cFWdWpyvwag_1 Q2_cm6E860vDjY_1 Q2_dtS02mrDMsM_0
Q2_f2BXXa7lPuE_2 Q2_jIKX3ShvLxo_0 Q2_l-4Kce3YxxQ_3 Q2_pouxqiySdI8_0 Q2_qlbazHayULg_5 Q2_wfXSdMsd4q8_5
Q2_yhIncZ_Ue4E_1 Q2_z5ewpQwGDNw_0 Q2_z5ewpQwGDNw_1 Q3_0vLPYiPN7qY_3 Q3_4Er-eFHSHA4_2 Q3_7JIdJLkJ0S4_0
Q3_7JIdJLkJ0S4_1 Q3_7JIdJLkJ0S4_3 Q3_9Xg69XrVaYU_2 Q3_By3JCii1k3w_1 Q3_By3JCii1k3w_2 Q3_E5qEloUO3SM_1
Q3_FH28sPhm9Dc_0 Q3_H6_7DjsbROQ_0 Q3_PLfFWFZflQU_0 Q3_UuLTvhERcnk_1 Q3_X1p8xcarVu0_3 Q3__S991V8N-8s_0
Q3_c6CwY8Gbw0c_2 Q3_g-yM0Lsp4lc_1 Q3_gvWDOIiocuE_0 Q3_iRu9KQvbtVw_0 Q3_ilCcZpD39HU_2 Q3_nBIls0laAAU_1
Q3_p2qihp_PnLY_1 Q3_uj3Gif77SYM_2 Q3_wS0RzrBL9UI_2 Q3_xIsvaT20pZ0_0 Q4_1vjy9oMFa8c_0 Q4_22S3w4idugs_0
Q4_5J_zI7QE9W8_0 Q4_BaHHHgDd0BU_0 Q4_DX1IK3z1w10_0 Q4_FyK_c-TIcCA_0 Q4_GAvPwG2wYZM_0 Q4_JxSU49jFKwM_0
Q4_KxlqB3j0zys_4 Q4_TOXg4-ZGb-g_2 Q4_Tjno89OVuRI_1 Q4_UbKAl4roB8k_0 Q4_XC_SiJszQx0_0 Q4_XPLYvpyfKUM_0
Q4_biROWEwkDQQ_0 Q4_cXxGBDgFCs8_1 Q4_fOYX0uH8mSQ_0 Q4_heBmBQDWj-M_0 Q4_iHPKusssXzk_0 Q4_jCLgDtk695I_0
Q4_jCLgDtk695I_2 Q4_jO2zX6Ul8GM_2 Q4_kMHiU0fhWVw_3 Q4_ldCQ6N9G6Mk_1 Q4_ldCQ6N9G6Mk_5 Q4_ltxNPJda7zE_0
Q4_lvfNo4KOTmM_0 Q4_nGkpcWNAxDU_2 Q4_pRuwHN-lI44_1 Q4_vBHoSz8cJIE_3 Q4_vJ77eDxHezE_1
""",
}


def _by_name(parts: dict[str, str]) -> dict[str, str]:
    return {name: part for part, names in parts.items() for name in names.split()}


POP909 = _by_name(_POP909)
"""Number of a song -> ``valid``, ``test``, or ``out``: those that are not in 4/4 throughout have no part."""
PIANIST8 = _by_name(_PIANIST8)
"""Artist and file name without its suffix -> ``valid`` or ``test``."""
EMOPIA = _by_name(_EMOPIA)
"""Name of a clip -> ``valid`` or ``test``. Clips of one song stand in several parts."""
